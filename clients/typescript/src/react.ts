'use client'
import {
  type InfiniteData,
  type MutateOptions,
  useInfiniteQuery,
  useMutation,
  useMutationState,
  useQueryClient,
} from '@tanstack/react-query'
import { useEffect, useMemo, useState } from 'react'
import { type EventOf, type EventsClient, type FilterOf, follow, type FollowState, type PageOf } from './follow.js'
import { newEventId } from './ids.js'
import { meets, type Wanted } from './meets.js'

/** A client that can also log events. */
export interface LoggingClient extends EventsClient {
  events: EventsClient['events'] & { log: { mutate(input: any, options?: any): Promise<any> } }
}

/** The input of `useLogEvent`. */
export type DraftOf<TClient extends LoggingClient> = Parameters<TClient['events']['log']['mutate']>[0]

/** An event of a list. It is `pending` until the server has confirmed that it is logged. */
export type ListedEvent<TClient extends EventsClient> = EventOf<TClient> & { pending?: true }

const LISTS = ['synap', 'events', 'list'] as const
const LIVE = ['synap', 'events', 'live'] as const
const LOGS = ['synap', 'events', 'log'] as const
const DEFAULT_LIMIT = 100
const FLUSH_MS = 50

/** The options of a list. */
export interface ListOptions<TClient extends EventsClient> {
  /** Events in a page. Default: 100. */
  limit?: number
  /** The first page, if the server that renders this component has listed it with the same filter and `limit`. */
  initialPage?: PageOf<TClient>
}

/**
 * The events that match, newest first, page after page: TanStack's infinite query, and its `events` of all pages.
 *
 * It shows an event that `useLogEvent` logs at once, as `pending`.
 */
export function useEvents<TClient extends EventsClient>(
  client: TClient,
  filter: FilterOf<TClient>,
  options: ListOptions<TClient> = {},
) {
  return useList(client, LISTS, filter, options)
}

/**
 * Like `useEvents`, and shows every event that is logged later, as it is logged. `state` is the state of the stream.
 *
 * The list and the stream join without a gap. Events from the stream stay until the component is unmounted.
 */
export function useLiveEvents<TClient extends EventsClient>(
  client: TClient,
  filter: FilterOf<TClient>,
  options: ListOptions<TClient> = {},
) {
  const query = useList(client, LIVE, filter, options)
  const key = JSON.stringify(filter)
  const [held, setTail] = useState<Tail<TClient>>({ ...NOTHING, of: key })
  const tail: Tail<TClient> = held.of === key ? held : { ...NOTHING, of: key }
  const first = query.data?.pages[0]
  const isListed = first !== undefined
  useEffect(() => {
    if (!first) return undefined
    setTail({ ...NOTHING, of: key })
    return followed(client, JSON.parse(key) as FilterOf<TClient>, first, (part) =>
      setTail((now) => ({ ...now, ...part(now) })),
    )
    // Not with each new list: the stream continues from where it began, and `merged` drops events that come twice.
  }, [client, key, isListed])
  const events = useMemo(() => merged<ListedEvent<TClient>>(tail.events, query.events), [tail.events, query.events])
  return { ...query, events, state: tail.state, liveError: tail.error }
}

interface Tail<TClient extends EventsClient> {
  /** The filter of the events. */
  of: string
  events: EventOf<TClient>[]
  state: FollowState
  error: Error | null
}

const NOTHING = { events: [] as never[], state: 'connecting' as const, error: null }

/** Follow the log after a page. Events that come close together are shown together: a render may cost milliseconds. */
function followed<TClient extends EventsClient>(
  client: TClient,
  filter: FilterOf<TClient>,
  page: PageOf<TClient>,
  change: (part: (tail: Tail<TClient>) => Partial<Tail<TClient>>) => void,
): () => void {
  let waiting: EventOf<TClient>[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const flush = () => {
    timer = undefined
    const newest = waiting.reverse()
    waiting = []
    change((tail) => ({ events: [...newest, ...tail.events] }))
  }
  const stop = follow(client, filter, {
    from: page,
    onEvent(event) {
      waiting.push(event)
      timer ??= setTimeout(flush, FLUSH_MS)
    },
    onState: (state, error) => change(() => ({ state, error: error ?? null })),
  })
  return () => {
    stop()
    clearTimeout(timer)
  }
}

/**
 * TanStack's mutation that logs an event. Lists to which the event belongs show it at once, as `pending`.
 *
 * Lists with a `filter`, `from` or `to` show it when the server has logged it. `toFieldErrors(error)` is for the form.
 */
export function useLogEvent<TClient extends LoggingClient>(client: TClient) {
  const queries = useQueryClient()
  const mutation = useMutation<EventOf<TClient>, Error, Named<TClient>>({
    mutationKey: LOGS,
    mutationFn: ({ draft, id }) => client.events.log.mutate({ ...draft, id }) as Promise<EventOf<TClient>>,
    onSettled: () => queries.invalidateQueries({ queryKey: LISTS }),
  })
  return {
    ...mutation,
    mutate: (draft: DraftOf<TClient>, options?: LogOptions<TClient>) =>
      mutation.mutate(withId<TClient>(draft), options),
    mutateAsync: (draft: DraftOf<TClient>, options?: LogOptions<TClient>) =>
      mutation.mutateAsync(withId<TClient>(draft), options),
  }
}

type LogOptions<TClient extends LoggingClient> = MutateOptions<EventOf<TClient>, Error, Named<TClient>>

interface Named<TClient extends LoggingClient> {
  draft: DraftOf<TClient>
  id: string
  at: string
}

function withId<TClient extends LoggingClient>(draft: DraftOf<TClient>): Named<TClient> {
  return { draft, id: (draft as { id?: string | null }).id ?? newEventId(), at: new Date().toISOString() }
}

function useList<TClient extends EventsClient>(
  client: TClient,
  key: readonly string[],
  filter: FilterOf<TClient>,
  { limit = DEFAULT_LIMIT, initialPage }: ListOptions<TClient>,
) {
  const query = useInfiniteQuery<PageOf<TClient>, Error, InfiniteData<PageOf<TClient>>, unknown[], string | null>({
    queryKey: [...key, filter, limit],
    queryFn: ({ pageParam, signal }) =>
      client.events.page.query({ ...filter, limit, cursor: pageParam }, { signal }) as Promise<PageOf<TClient>>,
    initialPageParam: null,
    getNextPageParam: (page) => page.nextCursor,
    ...(initialPage && { initialData: { pages: [initialPage], pageParams: [null] } }),
  })
  const logged = useLogged<TClient>(filter)
  const pages = query.data?.pages
  const events = useMemo(() => {
    const listed = pages?.flatMap((page) => page.events as EventOf<TClient>[])
    return merged<ListedEvent<TClient>>(logged, listed ?? [])
  }, [logged, pages])
  return { ...query, events }
}

/** The events that this page is logging or has logged, and that belong to the list. */
function useLogged<TClient extends EventsClient>(filter: FilterOf<TClient>): ListedEvent<TClient>[] {
  const states = useMutationState({
    filters: { mutationKey: LOGS, predicate: ({ state }) => state.status === 'pending' || state.status === 'success' },
    select: ({ state }) => (state.data ?? optimistic(state.variables as Named<LoggingClient>)) as ListedEvent<TClient>,
  })
  const key = JSON.stringify(filter)
  return useMemo(() => states.filter((event) => meets(event as object, JSON.parse(key) as Wanted)), [states, key])
}

/** An event as it will probably be. Only the server knows its place, its hash and its user. */
function optimistic({ draft, id, at }: Named<LoggingClient>): object {
  const last = { timestamp: at, seq: Number.MAX_SAFE_INTEGER, hash: '', pending: true }
  return { version: 'v1', userId: '', source: 'api', ...(draft as object), id, ...last }
}

/** Both lists in one, newest first. An event of both is there once; a logged event replaces the pending one. */
function merged<TEvent extends { id: string; seq: number; pending?: true }>(
  some: TEvent[],
  others: TEvent[],
): TEvent[] {
  if (some.length === 0) return others
  const byId = new Map<string, TEvent>()
  for (const event of [...some, ...others]) {
    if (!byId.has(event.id) || byId.get(event.id)?.pending) byId.set(event.id, event)
  }
  return [...byId.values()].sort((one, other) => other.seq - one.seq)
}
