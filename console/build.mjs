// Builds the console. Usage: build.mjs [FOLDER]. The same sources make the same bytes on any machine: esbuild is pinned, its
// output is minified and has no paths, and each file is named after its own bytes.
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'

const HERE = dirname(fileURLToPath(import.meta.url))
const STATIC = resolve(process.argv[2] ?? join(HERE, '..', 'app', 'surfaces', 'console', 'static'))
const MAX_BYTES = 80_000 // of all files together, compressed by gzip as the server does it

/** The verifier is also a command. A page needs only what stands before that. */
const verifier = {
  name: 'verifier',
  setup(building) {
    building.onLoad({ filter: /verify\.mjs$/ }, async ({ path }) => {
      const [contents, command] = (await readFile(path, 'utf8')).split('\n// The command.\n')
      if (!command) throw new Error(`${path} has no line "// The command."`)
      return { contents, loader: 'js' }
    })
  },
}

const { outputFiles } = await build({
  absWorkingDir: HERE,
  entryPoints: ['src/main.tsx'],
  bundle: true,
  write: false,
  outdir: 'out',
  format: 'esm',
  target: ['es2022', 'chrome123', 'firefox129', 'safari17.5'],
  minify: true,
  charset: 'utf8',
  legalComments: 'none',
  jsx: 'transform', // calls of h are shorter than those of the automatic runtime, which tsconfig.json names for the checker
  jsxFactory: 'h',
  jsxFragment: 'Fragment',
  inject: ['src/elements.ts'],
  tsconfigRaw: {},
  alias: {
    'synap-verify': '../clients/verify/verify.mjs',
    // The packages of tRPC contain their TypeScript. Their built files are the same for browsers of 2017, and larger.
    '@trpc/client': './node_modules/@trpc/client/src',
    '@trpc/server': './node_modules/@trpc/server/src',
  },
  plugins: [verifier],
})

let page = await readFile(join(HERE, 'index.html'), 'utf8')
const files = new Map()
for (const { path, contents } of outputFiles) {
  const ending = path.split('.').at(-1)
  const name = `console-${createHash('sha256').update(contents).digest('hex').slice(0, 12)}.${ending}`
  files.set(name, contents)
  page = page.replace(`console/main.${ending}`, `console/${name}`)
}
files.set('index.html', page)

const size = [...files.values()].reduce((sum, contents) => sum + gzipSync(contents, { level: 9 }).length, 0)
if (size > MAX_BYTES) throw new Error(`the console has ${size} bytes in gzip, more than ${MAX_BYTES}`)
await mkdir(STATIC, { recursive: true })
for (const name of await readdir(STATIC)) if (!files.has(name)) await rm(join(STATIC, name))
for (const [name, contents] of files) await writeFile(join(STATIC, name), contents)
console.log(`${[...files.keys()].join(', ')}: ${size} bytes in gzip`)
