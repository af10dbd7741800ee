// A page on `@trpc/tanstack-react-query`: a query, an infinite query, a mutation and a subscription.
import { QueryClient, QueryClientProvider, useInfiniteQuery, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { createTRPCClient } from '@trpc/client'
import { createTRPCContext, useSubscription } from '@trpc/tanstack-react-query'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import type { AppRouter } from './contract'
import { links, middle, Screen, titles, type } from './screen.js'

const { TRPCProvider, useTRPC } = createTRPCContext<AppRouter>()
const queryClient = new QueryClient()

function Page() {
  const trpc = useTRPC()
  const queries = useQueryClient()
  const [start, setStart] = useState('beginning')
  const [streamed, setStreamed] = useState<string[]>([])
  const newest = { type, limit: 1 }
  const total = useQuery(trpc.events.page.queryOptions(newest, { select: (page) => page.total }))
  const list = useInfiniteQuery(
    trpc.events.page.infiniteQueryOptions(
      { type, limit: 2 },
      { initialCursor: middle, getNextPageParam: (page) => page.nextCursor, getPreviousPageParam: (page) => page.previousCursor },
    ),
  )
  const log = useMutation(
    trpc.events.log.mutationOptions({ onSuccess: () => queries.invalidateQueries(trpc.events.page.queryFilter(newest)) }),
  )
  const live = useSubscription(
    trpc.events.stream.subscriptionOptions({ type, start }, { onData: ({ data }) => setStreamed((all) => [...all, ...titles([data])]) }),
  )
  return (
    <Screen
      total={total.data}
      list={titles(list.data?.pages.flatMap(({ events }) => events))}
      older={list.hasNextPage && (() => list.fetchNextPage())}
      newer={list.hasPreviousPage && (() => list.fetchPreviousPage())}
      log={(title) => log.mutate({ type: title ? type : 'synap.mine', data: { title } })}
      state={live.status}
      streamed={streamed}
      followFromNowhere={() => setStart('nowhere')}
      error={log.error?.data ?? live.error?.data}
    />
  )
}

createRoot(document.body.appendChild(document.createElement('main'))).render(
  <QueryClientProvider client={queryClient}>
    <TRPCProvider trpcClient={createTRPCClient<AppRouter>({ links })} queryClient={queryClient}>
      <Page />
    </TRPCProvider>
  </QueryClientProvider>,
)
