// The v11 client's story: node client_v11.mjs URL TOKEN LINK none|superjson, where LINK is one of `links`.
import {
  createTRPCClient,
  createWSClient,
  httpBatchLink,
  httpBatchStreamLink,
  httpLink,
  httpSubscriptionLink,
  splitLink,
  TRPCClientError,
  wsLink,
} from '@trpc/client'
import { EventSource } from 'eventsource'
import WebSocket from 'ws'
import { main } from './story.mjs'

const bearer = (token) => (token ? { authorization: `Bearer ${token}` } : {})
const withHeaders = (more) => ({
  fetch: (url, init) => fetch(url, { ...init, headers: { ...init.headers, ...more } }),
})
const overHttp = (link) => (options) => link({ ...options, headers: bearer(options.token) })

const links = {
  httpLink: overHttp(httpLink),
  httpBatchLink: overHttp(httpBatchLink),
  httpBatchStreamLink: overHttp(httpBatchStreamLink),
  httpSubscriptionLink: ({ url, transformer, token, fetch, inHeader }) =>
    splitLink({
      condition: ({ type }) => type === 'subscription',
      true: httpSubscriptionLink({
        url,
        transformer,
        EventSource,
        connectionParams: token && !inHeader ? { token } : null,
        eventSourceOptions: inHeader ? withHeaders(bearer(token)) : {},
      }),
      false: httpLink({ url, transformer, fetch, headers: bearer(token) }),
    }),
  wsLink: ({ url, transformer, token }) =>
    wsLink({
      transformer,
      client: createWSClient({
        url: url.replace('http', 'ws'),
        WebSocket,
        connectionParams: token ? { token } : null,
        keepAlive: { enabled: true, intervalMs: 20, pongTimeoutMs: 5000 },
      }),
    }),
}

await main({
  version: 'v11',
  TRPCClientError,
  links: Object.keys(links),
  connect: ({ link, ...options }) => createTRPCClient({ links: [links[link](options)] }),
})
