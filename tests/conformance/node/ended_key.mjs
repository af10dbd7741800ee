// A stream over WebSocket whose key ends: ended_key.mjs VERSION LINKS URL TOKEN NEXT_TOKEN, where VERSION is '11.22' or
// 'own' (that of the folder), and LINKS is 'eager', 'lazy' (how the socket opens) or 'retryLink' (before an eager one). It
// revokes its own first key, then logs an event. Prints the stream's states, and the number of that event or the code of
// the error that ended it.
import * as own from '@trpc/client'
import * as earlier from 'trpc-client-11'
import WebSocket from 'ws'

const [version, links, url, token, next] = process.argv.slice(2)
const { createTRPCClient, createWSClient, httpLink, retryLink, wsLink } = version === '11.22' ? earlier : own

const api = createTRPCClient({ links: [httpLink({ url: `${url}/trpc`, headers: { authorization: `Bearer ${token}` } })] })
const first = await api.keys.create.mutate({ scopes: ['events:read'] })
const tokens = [first.token]
const socket = createWSClient({
  url: `${url.replace('http', 'ws')}/trpc`,
  WebSocket,
  connectionParams: () => ({ token: tokens.shift() ?? next }),
  retryDelayMs: () => 50,
  lazy: { enabled: links === 'lazy', closeMs: 0 },
})
// As in the client's documentation: another attempt renews a key that has ended.
const renew = retryLink({ retry: ({ error, attempts }) => error.data?.code === 'UNAUTHORIZED' && attempts < 3 })
const live = createTRPCClient({ links: [...(links === 'retryLink' ? [renew] : []), wsLink({ client: socket })] })

const states = []
const outcome = await new Promise((resolve) => {
  live.events.stream.subscribe(
    { type: `key.${first.id}`, start: 'beginning' },
    {
      async onStarted() {
        await api.keys.revoke.mutate({ keyId: first.id })
      },
      async onConnectionStateChange({ state }) {
        states.push(state)
        if (state === 'connecting' && states.includes('pending')) {
          await api.events.log.mutate({ type: `key.${first.id}`, data: { number: 7 } })
        }
      },
      onData: ({ data }) => resolve(data.data.number),
      onError: (error) => resolve(error.data?.code ?? error.message),
    },
  )
})
console.log(JSON.stringify({ states, outcome }))
process.exit()
