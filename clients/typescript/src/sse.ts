import { ours } from './failures.js'
import type { Asked, Heard, Transport } from './streams.js'
import { errorOf, type Wire } from './wire.js'

const SILENCE_MS = 45_000

export interface SseOptions {
  url: string
  wire: Wire
  headers: (token: string) => Record<string, string>
  fetch: typeof fetch
  longestUrl: number
}

/** Streams over server-sent events, read with `fetch`, which can send the key in a header; `EventSource` cannot. */
export function sse(options: SseOptions): Transport {
  return async (asked, heard, signal) => {
    const ending = new AbortController()
    const end = () => ending.abort()
    signal.addEventListener('abort', end, { once: true, signal: ending.signal })
    try {
      const response = await options.fetch(...request(options, asked, ending.signal))
      if (isJson(response)) throw await refusal(options.wire, response)
      const { body } = ours(response, 'text/event-stream')
      if (!body) throw new Error('The connection was lost')
      await read(body, heard, options.wire, ending)
    } finally {
      end()
    }
  }
}

function request(options: SseOptions, asked: Asked, signal: AbortSignal): [string, RequestInit] {
  const { url, wire, headers, longestUrl } = options
  const body = JSON.stringify(wire.encode(asked.input))
  const address = `${url}/${asked.path}`
  const init = { signal, cache: 'no-store' as const, headers: headers(asked.token) }
  const get = `${address}?input=${encodeURIComponent(body)}`
  if (get.length <= longestUrl) return [get, init]
  return [address, { ...init, method: 'POST', headers: { ...init.headers, 'content-type': 'application/json' }, body }]
}

function isJson(response: Response): boolean {
  return response.headers.get('content-type')?.startsWith('application/json') ?? false
}

async function refusal(wire: Wire, response: Response): Promise<Error> {
  return errorOf(wire, ((await response.json()) as { error: unknown }).error)
}

/** Read events until the stream ends. After a long silence the connection counts as dead. */
async function read(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  heard: Heard,
  wire: Wire,
  ending: AbortController,
): Promise<void> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let silenceMs = SILENCE_MS
  let timer: ReturnType<typeof setTimeout> | undefined
  const parse = parser()
  try {
    for (;;) {
      clearTimeout(timer)
      timer = setTimeout(() => ending.abort(new Error(`Nothing came for ${silenceMs} ms`)), silenceMs)
      const { done, value } = await reader.read()
      if (done) throw new Error('The connection was lost')
      for (const { name, id, data } of parse(value)) {
        if (name === 'return') return
        if (name === 'serialized-error') throw errorOf(wire, JSON.parse(data))
        if (name === 'connected') {
          const { reconnectAfterInactivityMs } = JSON.parse(data) as { reconnectAfterInactivityMs?: number }
          silenceMs = reconnectAfterInactivityMs ?? silenceMs
          heard.opened()
        } else if (name === 'message') {
          heard.value(wire.decode(JSON.parse(data)), id || undefined)
        }
      }
    }
  } finally {
    clearTimeout(timer)
    reader.cancel().catch(() => {})
  }
}

interface ServerSent {
  name: string
  id: string
  data: string
}

/** Reads the format of https://html.spec.whatwg.org/multipage/server-sent-events.html, piece after piece. */
function parser(): (piece: string) => ServerSent[] {
  let rest = ''
  let next: ServerSent = { name: 'message', id: '', data: '' }
  return (piece) => {
    const lines = (rest + piece).split(/\r?\n/)
    rest = lines.pop() ?? ''
    const whole: ServerSent[] = []
    for (const line of lines) {
      const [, field, value = ''] = /^([^:]*)(?:: ?(.*))?$/s.exec(line) ?? []
      if (line === '') {
        if (next.data) whole.push({ ...next, data: next.data.slice(0, -1) })
        next = { name: 'message', id: '', data: '' }
      } else if (field === 'data') next.data += `${value}\n`
      else if (field === 'event') next.name = value
      else if (field === 'id') next.id = value
    }
    return whole
  }
}
