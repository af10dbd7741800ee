
import { readFileSync } from 'node:fs'

const asked: { body: string; header: string; secret: string }[] = JSON.parse(readFileSync(0, 'utf8'))
console.log(JSON.stringify(asked.map(({ body, header, secret }) => isOurs(body, header, secret))))
