// An infinite query of the official package, forwards and backwards: node infinite.mjs URL TOKEN TYPE none|superjson
import { InfiniteQueryObserver, QueryClient } from '@tanstack/react-query'
import { createTRPCClient, httpBatchLink } from '@trpc/client'
import { createTRPCOptionsProxy } from '@trpc/tanstack-react-query'
import superjson from 'superjson'

const [url, token, type, transformer] = process.argv.slice(2)
const target = { url: `${url}/trpc`, headers: { authorization: `Bearer ${token}` } }
const link = httpBatchLink(transformer === 'superjson' ? { ...target, transformer: superjson } : target)
const queryClient = new QueryClient({ defaultOptions: { queries: { retry: false } } })
const trpc = createTRPCOptionsProxy({ client: createTRPCClient({ links: [link] }), queryClient })

function options(initialCursor) {
  return trpc.events.page.infiniteQueryOptions(
    { type, limit: 2 },
    { initialCursor, getNextPageParam: (page) => page.nextCursor, getPreviousPageParam: (page) => page.previousCursor },
  )
}

const walked = await queryClient.fetchInfiniteQuery({ ...options(), pages: 9 })
const seqs = ({ pages }) => pages.map((page) => page.events.map((event) => event.data.n))

queryClient.clear()
const observer = new InfiniteQueryObserver(queryClient, options(walked.pageParams.at(-1)))
const stop = observer.subscribe(() => {})
let seen = await observer.refetch()
while (seen.hasPreviousPage) seen = await observer.fetchPreviousPage()
stop()
console.log(JSON.stringify({ forward: seqs(walked), backward: seqs(seen.data), error: seen.error?.message ?? null }))
