#!/usr/bin/env node
// Writes the TypeScript contract of a server, or checks whether a file is still the server's contract.
import { readFile, writeFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'

const USAGE = `Usage: synap-contract URL [-o contract.ts] [--check]

  URL       the server, such as https://events.example.org
  -o FILE   the file to write, or to check. Default: contract.ts
  --check   write nothing; exit with 1 if the file is not the server's contract
`
const CONTEXT = 2

class Failure extends Error {}

async function main() {
  const { url, file, check } = read()
  const served = await fetchContract(`${url.replace(/\/+$/, '').replace(/\/trpc$/, '')}/trpc/contract.ts`)
  if (!check) {
    await writeFile(file, served)
    return 0
  }
  const written = await readFile(file, 'utf8').catch((error) => {
    throw new Failure(`${file} cannot be read (${error.code}); omit --check to write it`)
  })
  if (written === served) return 0
  process.stdout.write(`${file} is not the contract of ${url}. Write it again with: synap-contract ${url} -o ${file}\n`)
  process.stdout.write(difference(written.split('\n'), served.split('\n')))
  return 1
}

function read() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        output: { type: 'string', short: 'o', default: 'contract.ts' },
        check: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    })
    if (values.help) {
      process.stdout.write(USAGE)
      process.exit(0)
    }
    if (positionals.length !== 1 || !/^https?:\/\//.test(positionals[0])) throw new Error('Name one server, by its URL')
    return { url: positionals[0], file: values.output, check: values.check }
  } catch (error) {
    throw new Failure(`${error.message}\n\n${USAGE}`)
  }
}

async function fetchContract(address) {
  const response = await fetch(address).catch((error) => {
    throw new Failure(`${address} cannot be reached: ${error.cause?.message || error.cause?.code || error.message}`)
  })
  const text = await response.text()
  if (!response.ok || !text.includes('AppRouter')) {
    throw new Failure(`${address} answered ${response.status} and no contract: is it a Synap Events server?`)
  }
  return text
}

/** The lines that differ, each with its neighbours: `-` is in the file, `+` is the server's. */
function difference(mine, theirs) {
  const marked = compared(mine, theirs)
  const shown = marked.map((_, place) =>
    marked.slice(Math.max(0, place - CONTEXT), place + CONTEXT + 1).some(([mark]) => mark !== ' '),
  )
  return marked.map(([mark, line], place) => (shown[place] ? `${mark} ${line}\n` : shown[place - 1] ? '  …\n' : '')).join('')
}

/** Both texts in one, line by line, with as many common lines as possible. */
function compared(mine, theirs) {
  const common = Array.from({ length: mine.length + 1 }, () => new Uint32Array(theirs.length + 1))
  for (let i = mine.length - 1; i >= 0; i--) {
    for (let j = theirs.length - 1; j >= 0; j--) {
      common[i][j] = mine[i] === theirs[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1])
    }
  }
  const marked = []
  for (let i = 0, j = 0; i < mine.length || j < theirs.length; ) {
    if (i < mine.length && j < theirs.length && mine[i] === theirs[j]) marked.push([' ', mine[i++], j++])
    else if (i < mine.length && (j === theirs.length || common[i + 1][j] >= common[i][j + 1])) marked.push(['-', mine[i++]])
    else marked.push(['+', theirs[j++]])
  }
  return marked
}

try {
  process.exitCode = await main()
} catch (error) {
  if (!(error instanceof Failure)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 2
}
