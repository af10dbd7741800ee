// The v11 client's story: node client_v11.mjs URL TOKEN httpLink|httpBatchLink|httpBatchStreamLink none|superjson
import { createTRPCClient, httpBatchLink, httpBatchStreamLink, httpLink, TRPCClientError } from '@trpc/client'
import { main } from './story.mjs'

const links = { httpLink, httpBatchLink, httpBatchStreamLink }

await main({
  version: 'v11',
  TRPCClientError,
  links: Object.keys(links),
  connect: ({ url, token, link, transformer, fetch }) =>
    createTRPCClient({
      links: [links[link]({ url, transformer, fetch, headers: token ? { authorization: `Bearer ${token}` } : {} })],
    }),
})
