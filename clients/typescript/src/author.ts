import { isRecord } from './ids.js'

/** Who signs events: an agent's Ed25519 key, wherever it is kept. `createAuthor` makes one of a key in memory. */
export interface Author {
  /** The `did:key` of the key. */
  did: string
  /** The 64 bytes of the signature over `text`. */
  sign: (text: Uint8Array<ArrayBuffer>) => Uint8Array | Promise<Uint8Array>
}

/** Where the events of an author are stored, which is signed too: the node, its log, and the user of the key. */
export interface Place {
  node: string
  workspace: string
  userId: string
}

const ED25519 = { name: 'Ed25519' }
const BASE58 = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
/** What PKCS #8 has before the 32 bytes of an Ed25519 key (RFC 8410, section 7). */
const PKCS8 = [48, 46, 2, 1, 0, 48, 5, 6, 3, 43, 101, 112, 4, 34, 4, 32]

/**
 * An author whose key is in memory: the 32 secret bytes of RFC 8032, or a pair of WebCrypto's, whose secret may be
 * unextractable. It needs Ed25519: node 20, or a browser of 2025 and a page over https.
 */
export async function createAuthor(key: Uint8Array | CryptoKeyPair): Promise<Author> {
  const { privateKey, publicKey } = key instanceof Uint8Array ? await pairOf(key) : key
  const raw = new Uint8Array(await crypto.subtle.exportKey('raw', publicKey))
  return {
    did: `did:key:z${base58([0xed, 0x01, ...raw])}`,
    sign: async (text) => new Uint8Array(await crypto.subtle.sign(ED25519, privateKey, text)),
  }
}

async function pairOf(secret: Uint8Array): Promise<CryptoKeyPair> {
  if (secret.length !== 32) throw new TypeError('the secret of an author must have 32 bytes')
  const extractable = await crypto.subtle.importKey('pkcs8', Uint8Array.from([...PKCS8, ...secret]), ED25519, true, ['sign'])
  const { d: _secret, key_ops: _uses, ...jwk } = await crypto.subtle.exportKey('jwk', extractable)
  const publicKey = await crypto.subtle.importKey('jwk', jwk, ED25519, true, ['verify'])
  return { privateKey: extractable, publicKey }
}

/** Signs the events of a client's calls. */
export class Signing {
  #author: Author | Promise<Author>
  #place: Place | Promise<Place> | undefined

  constructor(author: Author | Promise<Author>, place?: Place) {
    this.#author = author
    this.#place = place
  }

  /** The input of a call, with its events signed. `ask` asks the server where they are stored. */
  async signed(path: string, input: unknown, ask: () => Promise<Place>): Promise<unknown> {
    if (!/^events\.(log|logBatch|validate)$/.test(path) || !isRecord(input)) return input
    const [author, place] = [await this.#author, await this.#where(ask)]
    if (path !== 'events.logBatch') return signedBy(author, input, place)
    const events = Array.isArray(input['events']) ? input['events'] : []
    return { ...input, events: await Promise.all(events.map((event) => signedBy(author, event, place))) }
  }

  #where(ask: () => Promise<Place>): Place | Promise<Place> {
    this.#place ??= ask().catch((error: unknown) => {
      this.#place = undefined // the next call asks again
      throw error
    })
    return this.#place
  }
}

/** The event as JSON, with the author's signature. One that has an author is sent as it is. */
async function signedBy(author: Author, event: unknown, { node, workspace, userId }: Place): Promise<unknown> {
  const sent: unknown = JSON.parse(JSON.stringify(event))
  if (!isRecord(sent)) return sent
  const stored = Object.fromEntries(Object.entries(sent).filter(([, value]) => value !== null))
  const metadata = isRecord(stored['metadata']) ? stored['metadata'] : {}
  const synap = isRecord(metadata['synap']) ? metadata['synap'] : {}
  if ('author' in synap) return event
  const withAuthor = (said: object) => ({ ...metadata, synap: { ...synap, author: said } })
  const whole = {
    source: 'api',
    userId,
    ...stored,
    id: spelt(String(stored['id'])),
    ...('occurredAt' in stored ? { occurredAt: instant(String(stored['occurredAt'])) } : {}),
    metadata: withAuthor({ did: author.did }),
  }
  const hash = await crypto.subtle.digest('SHA-256', encoded(canonical({ ...whole, node, log: workspace })))
  const signature = await author.sign(encoded(`evlog/author/v1\n${hex(new Uint8Array(hash))}\n`))
  return { ...whole, metadata: withAuthor({ did: author.did, signature: btoa(String.fromCharCode(...signature)) }) }
}

/** A UUID as the server prints it. */
const spelt = (id: string) =>
  id.toLowerCase().replaceAll('-', '').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')

/** An instant as the server prints it: UTC, six digits, `Z`. Any other text is left as it is. */
function instant(text: string): string {
  const [, seconds, fraction = '', offset] = /^(.+?:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/i.exec(text) ?? []
  const at = new Date(`${seconds}${offset}`)
  if (seconds === undefined || Number.isNaN(at.getTime())) return text
  return `${at.toISOString().slice(0, -5)}.${fraction.padEnd(6, '0').slice(0, 6)}Z`
}

/** JSON in its canonical form (RFC 8785). JSON.stringify writes texts and numbers that way. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isRecord(value)) return JSON.stringify(value)
  const members = Object.keys(value).sort()
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`
}

const encoded = (text: string) => new TextEncoder().encode(text)

const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

function base58(bytes: number[]): string {
  let number = BigInt(`0x${hex(Uint8Array.from(bytes))}`)
  let digits = ''
  for (; number > 0n; number /= 58n) digits = BASE58[Number(number % 58n)] + digits
  return digits
}
