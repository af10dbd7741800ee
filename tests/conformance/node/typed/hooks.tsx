// The page of `tanstack.tsx` on `@trpc/react-query`, whose procedures are hooks.
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createTRPCReact } from '@trpc/react-query'
import { useState } from 'react'
import { createRoot } from 'react-dom/client'
import type { AppRouter } from './contract'
import { links, middle, Screen, titles, type } from './screen.js'

const trpc = createTRPCReact<AppRouter>()
const queryClient = new QueryClient()

function Page() {
  const utils = trpc.useUtils()
  const [start, setStart] = useState('beginning')
  const [streamed, setStreamed] = useState<string[]>([])
  const newest = { type, limit: 1 }
  const total = trpc.events.page.useQuery(newest, { select: (page) => page.total })
  const list = trpc.events.page.useInfiniteQuery(
    { type, limit: 2 },
    { initialCursor: middle, getNextPageParam: (page) => page.nextCursor, getPreviousPageParam: (page) => page.previousCursor },
  )
  const log = trpc.events.log.useMutation({ onSuccess: () => utils.events.page.invalidate(newest) })
  const live = trpc.events.stream.useSubscription(
    { type, start },
    { onData: ({ data }) => setStreamed((all) => [...all, ...titles([data])]) },
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
  <trpc.Provider client={trpc.createClient({ links })} queryClient={queryClient}>
    <QueryClientProvider client={queryClient}>
      <Page />
    </QueryClientProvider>
  </trpc.Provider>,
)
