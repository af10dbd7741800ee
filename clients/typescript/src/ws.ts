import { TRPCClientError } from '@trpc/client'
import { isRecord } from './ids.js'
import type { Asked, Heard, Transport } from './streams.js'
import { errorOf, type Wire } from './wire.js'

const PING_MS = 15_000
const MAX_MESSAGES = 100
const POLICY = 1008

export interface SocketOptions {
  url: string
  wire: Wire
  workspace: string | undefined
  WebSocket: typeof WebSocket
}

interface Stream {
  asked: Asked
  heard: Heard
  end(error?: Error): void
}

/** Streams over WebSocket. All streams with the same key share a socket. */
export function ws(options: SocketOptions): Transport {
  let socket: Socket | undefined
  return (asked, heard, signal) =>
    new Promise((resolve, reject) => {
      if (!socket?.isOf(asked.token)) socket = new Socket(options, asked.token)
      const stop = socket.add({ asked, heard, end: (error) => (error ? reject(error) : resolve()) })
      signal.addEventListener('abort', stop, { once: true })
    })
}

class Socket {
  readonly #streams = new Map<number, Stream>()
  readonly #socket: WebSocket
  readonly #pinging: ReturnType<typeof setInterval>
  #lastId = 0
  #isOpen = false
  #isSilent = false
  #ended: Error | undefined
  #told: Error | undefined

  constructor(
    private readonly options: SocketOptions,
    private readonly token: string,
  ) {
    this.#socket = new options.WebSocket(addressOf(options.url))
    this.#socket.addEventListener('open', () => this.#begin())
    this.#socket.addEventListener('message', ({ data }) => this.#hear(String(data)))
    this.#socket.addEventListener('close', ({ code }) => this.#end(this.#told ?? closed(code)))
    this.#socket.addEventListener('error', () => this.#end(this.#told ?? new Error('The connection was lost')))
    this.#pinging = setInterval(() => this.#ping(), PING_MS)
  }

  /** Whether streams of this key can be added. */
  isOf(token: string): boolean {
    return this.token === token && this.#ended === undefined
  }

  /** Open a stream. Returns a function that stops it. */
  add(stream: Stream): () => void {
    const id = ++this.#lastId
    this.#streams.set(id, stream)
    if (this.#isOpen) this.#send([this.#message(id, stream)])
    return () => {
      if (this.#ended || !this.#take(id)) return
      if (this.#isOpen) this.#send([{ id, method: 'subscription.stop' }])
      if (this.#streams.size === 0) this.#end(new Error('No stream is left'))
    }
  }

  #begin(): void {
    this.#isOpen = true
    const { workspace } = this.options
    const data = workspace === undefined ? { token: this.token } : { token: this.token, workspaceId: workspace }
    this.#send([{ method: 'connectionParams', data }])
    const waiting = [...this.#streams].map(([id, stream]) => this.#message(id, stream))
    for (let place = 0; place < waiting.length; place += MAX_MESSAGES) {
      this.#send(waiting.slice(place, place + MAX_MESSAGES))
    }
  }

  #message(id: number, { asked }: Stream): object {
    const input = this.options.wire.encode(asked.input)
    return { id, method: 'subscription', params: { path: asked.path, input } }
  }

  #send(messages: object[]): void {
    this.#socket.send(JSON.stringify(messages.length === 1 ? messages[0] : messages))
  }

  #hear(text: string): void {
    this.#isSilent = false
    if (this.#ended || text === 'PONG') return
    if (text === 'PING') return this.#socket.send('PONG')
    const message: unknown = JSON.parse(text)
    if (!isRecord(message)) return
    if (message['method'] === 'reconnect') this.#end(new Error('The server asks to connect again'))
    else if (message['id'] !== null) this.#pass(Number(message['id']), message)
    else if ('error' in message) this.#told = errorOf(this.options.wire, message['error'])
  }

  /** Pass a message on to its stream. */
  #pass(id: number, message: Record<string, unknown>): void {
    const stream = this.#streams.get(id)
    if (!stream) return
    if ('error' in message) return this.#take(id)?.end(errorOf(this.options.wire, message['error']))
    const { type, id: place, data } = message['result'] as { type: string; id?: string; data?: unknown }
    if (type === 'started') stream.heard.opened()
    else if (type === 'stopped') this.#take(id)?.end()
    else {
      const value = this.options.wire.decode(data)
      // A marker has a place too, but only a tracked value is wrapped with its id.
      if (value?.id === place) stream.heard.value(value.data, place)
      else stream.heard.value(value, undefined)
    }
  }

  #take(id: number): Stream | undefined {
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    return stream
  }

  /** A socket that does not answer counts as dead. */
  #ping(): void {
    if (this.#isSilent) return this.#end(new Error(`Nothing came for ${PING_MS} ms`))
    this.#isSilent = true
    if (this.#isOpen) this.#socket.send('PING')
  }

  #end(error: Error): void {
    if (this.#ended) return
    this.#ended = error
    clearInterval(this.#pinging)
    this.#socket.close()
    const streams = [...this.#streams.values()]
    this.#streams.clear()
    for (const stream of streams) stream.end(error)
  }
}

/** The error of a socket that closed without a message. With 1008 the key has ended. */
function closed(code: number): Error {
  if (code !== POLICY) return new Error(`The socket closed (${code})`)
  const data = { code: 'UNAUTHORIZED', httpStatus: 401 }
  return TRPCClientError.from({ error: { message: 'The key has ended', code: -32001, data } })
}

function addressOf(url: string): string {
  const address = new URL(url, typeof location === 'undefined' ? undefined : location.href)
  address.protocol = address.protocol.replace('http', 'ws')
  address.search = 'connectionParams=1'
  return address.href
}
