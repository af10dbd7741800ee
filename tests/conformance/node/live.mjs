// Readers of events.stream, each a client of its own, all in this process: node live.mjs TOKEN READERS, where READERS is
// JSON: [{name, client: 'v11 SSE' | 'v11 WebSocket' | 'v10 WebSocket', url, transformer: 'none' | 'superjson', markers}].
// Prints a line for each event, [name, seq, id, number], and for each marker, [name, 'caught up']. It ends when its input
// does, or with 1 when a subscription ends, after [name, 'failed', why].
import assert from 'node:assert/strict'
import { createTRPCClient, createWSClient, httpSubscriptionLink, wsLink } from '@trpc/client'
import { EventSource } from 'eventsource'
import superjson from 'superjson'
import { createTRPCProxyClient, createWSClient as createWSClient10, wsLink as wsLink10 } from 'trpc-client-10'
import WebSocket from 'ws'

const RETRY_MS = 50

const [token, readers] = process.argv.slice(2)
const print = (...line) => console.log(JSON.stringify(line))

/** Starts the stream with RETRY_MS, since an EventSource waits three seconds otherwise. */
async function retrySoon(input, init) {
  const answer = await fetch(input, init)
  async function* body() {
    yield new TextEncoder().encode(`retry: ${RETRY_MS}\n\n`)
    yield* answer.body
  }
  const { status, headers } = answer
  return status === 200 ? new Response(ReadableStream.from(body()), { status, headers }) : answer
}

const clients = {
  'v11 SSE': ({ url, transformer, input, handlers }) =>
    createTRPCClient({
      links: [
        httpSubscriptionLink({
          url: `${url}/trpc`,
          transformer,
          connectionParams: { token },
          EventSource,
          eventSourceOptions: { fetch: retrySoon },
        }),
      ],
    }).events.stream.subscribe(input, handlers),

  'v11 WebSocket': ({ url, transformer, input, handlers }) => {
    const client = createWSClient({
      url: `${url.replace('http', 'ws')}/trpc`,
      WebSocket,
      connectionParams: { token },
      retryDelayMs: () => RETRY_MS,
    })
    createTRPCClient({ links: [wsLink({ client, transformer })] }).events.stream.subscribe(input, handlers)
  },

  // It subscribes again by itself, but with its first input, so the application passes the place.
  'v10 WebSocket': ({ url, transformer, input, handlers, lastId }) => {
    let subscription
    let turns = 0
    const subscribe = () => {
      const turn = ++turns
      subscription?.unsubscribe()
      subscription = events.stream.subscribe(
        { ...input, lastEventId: lastId() },
        { ...handlers, onComplete: () => turn === turns && handlers.onComplete() },
      )
    }
    const client = createWSClient10({
      url: `${url.replace('http', 'ws')}/trpc?token=${encodeURIComponent(token)}`,
      WebSocket,
      retryDelayMs: () => RETRY_MS,
      onOpen: subscribe,
    })
    const { events } = createTRPCProxyClient({ transformer, links: [wsLink10({ client })] })
  },
}

for (const { name, client, url, transformer, markers } of JSON.parse(readers)) {
  let last = null
  const fail = (why) => {
    print(name, 'failed', String(why?.stack ?? why))
    process.exitCode = 1
    process.stdin.destroy()
    setTimeout(() => process.exit(), 100)
  }
  const onData = (value) => {
    try {
      if (value.caughtUp !== undefined) {
        assert(markers, 'a marker that was not asked for')
        assert.deepEqual(Object.keys(value).sort(), ['caughtUp', 'cursor'])
        print(name, 'caught up')
        return
      }
      const { id, data: event } = value
      assert.equal(id, event.id)
      assert.equal(event.timestamp instanceof Date, transformer === 'superjson', String(event.timestamp))
      last = id
      print(name, event.seq, id, event.data.number)
    } catch (error) {
      fail(error)
    }
  }
  clients[client]({
    url,
    transformer: transformer === 'superjson' ? superjson : undefined,
    input: { start: 'beginning', ...(markers ? { markers } : {}) },
    lastId: () => last,
    handlers: { onData, onError: fail, onComplete: () => fail('the subscription is complete') },
  })
}

process.stdin.on('end', () => process.exit()).resume()
