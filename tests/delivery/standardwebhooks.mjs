// Prints whether each delivery verifies with the published library.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'

const { Webhook } = createRequire(`${process.cwd()}/`)('standardwebhooks')

const verifies = ({ body, headers, secret }) => {
  try {
    new Webhook(secret).verify(body, headers, { jsonParse: false })
    return true
  } catch {
    return false
  }
}

console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf8')).map(verifies)))
