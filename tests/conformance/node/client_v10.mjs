// The v10 client's story: node client_v10.mjs URL TOKEN httpLink|httpBatchLink none|superjson
import { createTRPCProxyClient, httpBatchLink, httpLink, TRPCClientError } from 'trpc-client-10'
import { main } from './story.mjs'

const links = { httpLink, httpBatchLink }

await main({
  version: 'v10',
  TRPCClientError,
  links: Object.keys(links),
  connect: ({ url, token, link, transformer, fetch }) =>
    createTRPCProxyClient({
      transformer,
      links: [links[link]({ url, fetch, headers: token ? { authorization: `Bearer ${token}` } : {} })],
    }),
})
