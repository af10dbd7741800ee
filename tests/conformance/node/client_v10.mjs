// The v10 client's story: node client_v10.mjs URL TOKEN httpLink|httpBatchLink|wsLink none|superjson
import { createTRPCProxyClient, createWSClient, httpBatchLink, httpLink, TRPCClientError, wsLink } from 'trpc-client-10'
import WebSocket from 'ws'
import { main } from './story.mjs'

const bearer = (token) => (token ? { authorization: `Bearer ${token}` } : {})
const overHttp = (link) => (options) => link({ ...options, headers: bearer(options.token) })

const links = {
  httpLink: overHttp(httpLink),
  httpBatchLink: overHttp(httpBatchLink),
  wsLink: ({ url, token = '' }) => {
    const withToken = `${url.replace('http', 'ws')}?token=${encodeURIComponent(token)}`
    return wsLink({ client: createWSClient({ url: withToken, WebSocket }) })
  },
}

await main({
  version: 'v10',
  TRPCClientError,
  links: Object.keys(links),
  connect: ({ link, transformer, ...options }) => createTRPCProxyClient({ transformer, links: [links[link](options)] }),
})
