// Infinite queries as a React frontend writes them: they compile if an input has a `cursor`.
import { QueryClient } from '@tanstack/react-query'
import { createTRPCClient, httpLink } from '@trpc/client'
import { createTRPCOptionsProxy } from '@trpc/tanstack-react-query'
import type { AppRouter } from './contract'
import { transformer } from './options.js'

const client = createTRPCClient<AppRouter>({ links: [httpLink({ url: '/trpc', ...transformer })] })
const trpc = createTRPCOptionsProxy<AppRouter>({ client, queryClient: new QueryClient() })

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false

export const events = trpc.events.page.infiniteQueryOptions(
  { type: 'note.*', limit: 20 },
  { getNextPageParam: (page) => page.nextCursor, getPreviousPageParam: (page) => page.previousCursor },
)
export const keys = trpc.keys.list.infiniteQueryOptions({}, { getNextPageParam: (page) => page.nextCursor })
export const deliveries = trpc.subscriptions.deliveries.infiniteQueryOptions(
  { subscriptionId: 'sub_x' },
  { getNextPageParam: (page) => page.nextCursor, getPreviousPageParam: (page) => page.previousCursor },
)

// A page's place is a text, never an object.
export const places: Same<(typeof events)['initialPageParam'] | (typeof keys)['initialPageParam'], string | null> = true
export const deliveryPlace: Same<(typeof deliveries)['initialPageParam'], string | null> = true
// @ts-expect-error a cursor is a text
trpc.events.page.infiniteQueryOptions({}, { getNextPageParam: (page) => page.total })
