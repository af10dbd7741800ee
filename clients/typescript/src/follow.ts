import type { Unsubscribable } from '@trpc/server/observable'
import { delayAfter, explained, mayPass, pause } from './failures.js'

/** A client that can list and follow events, such as `createSynap` returns. */
export interface EventsClient {
  events: {
    page: { query(input: any, options?: any): Promise<EventPageLike> }
    stream: { subscribe(input: any, options: any): Unsubscribable }
  }
}

interface EventPageLike {
  events: { id: string; seq: number }[]
  total: number
  nextCursor?: string
}

type Given<T> = Exclude<T, void | undefined | null>

/** A page of events of this client. */
export type PageOf<TClient extends EventsClient> = Awaited<ReturnType<TClient['events']['page']['query']>>

/** An event of this client. */
export type EventOf<TClient extends EventsClient> = PageOf<TClient>['events'][number]

/** Which events to follow. All members must match. */
export type FilterOf<TClient extends EventsClient> = Omit<
  Given<Parameters<TClient['events']['stream']['subscribe']>[0]>,
  'start' | 'lastEventId' | 'markers'
>

/** After `lost` the client reconnects by itself; after `refused` it does not. */
export type FollowState = 'connecting' | 'live' | 'lost' | 'refused'

/** Where to begin, and the functions to call. */
export interface FollowOptions<TClient extends EventsClient> {
  /**
   * `now`, `beginning`, a time, or the id of an event or a cursor after which to begin. With `{ newest: 20 }` the newest
   * events are listed first. With a page of the same filter, it begins after the newest event of the page.
   */
  from: 'now' | 'beginning' | (string & {}) | { newest: number } | PageOf<TClient>
  /** Called with each event once, in the order of the log. */
  onEvent(event: EventOf<TClient>): void
  /** Called with the list of `{ newest }`. `onEvent` is then not called for the events of the list. */
  onPage?(page: PageOf<TClient>): void
  /** Called with each change of the state, and with the error that caused it. */
  onState?(state: FollowState, error?: Error): void
}

/**
 * Follow the events that match, from any place, each exactly once. Returns a function that stops it.
 *
 * It reconnects after a lost connection, and renews keys that end; `onState` reports both.
 */
export function follow<TClient extends EventsClient>(
  client: TClient,
  filter: FilterOf<TClient>,
  options: FollowOptions<TClient>,
): () => void {
  const leaving = new AbortController()
  const { signal } = leaving
  const state = (name: FollowState, error?: Error) => signal.aborted || options.onState?.(name, error)
  state('connecting')
  begin(client, filter, options, signal, state).then(
    (start) => signal.aborted || subscribe(client, { ...filter, start }, options, signal, state),
    (error: unknown) => state('refused', explained(error)),
  )
  return () => leaving.abort()
}

type Tell = (state: FollowState, error?: Error) => void

/** Where the stream begins: after the list, if there is one. */
async function begin<TClient extends EventsClient>(
  client: TClient,
  filter: FilterOf<TClient>,
  { from, onEvent, onPage }: FollowOptions<TClient>,
  signal: AbortSignal,
  state: Tell,
): Promise<string> {
  if (typeof from === 'string') return from
  if ('events' in from) return behind(from)
  const page = await list<TClient>(client, { ...filter, limit: from.newest }, signal, state)
  if (!page) return 'now'
  if (onPage) onPage(page)
  else for (const event of page.events.toReversed()) onEvent(event)
  return behind(page)
}

/** The place after a page of the newest events. After an empty page it is the beginning of the log. */
function behind(page: EventPageLike): string {
  return page.events[0]?.id ?? 'beginning'
}

/** The newest events, requested until they arrive; undefined if nobody waits any longer. */
async function list<TClient extends EventsClient>(
  client: TClient,
  input: object,
  signal: AbortSignal,
  state: Tell,
): Promise<PageOf<TClient> | undefined> {
  for (let failures = 0; !signal.aborted; ) {
    try {
      const page = await client.events.page.query(input, { signal })
      return signal.aborted ? undefined : (page as PageOf<TClient>)
    } catch (error) {
      if (signal.aborted) return undefined
      if (!mayPass(error)) throw error
      state('lost', explained(error))
      await pause(delayAfter(failures++, error), signal)
    }
  }
  return undefined
}

function subscribe<TClient extends EventsClient>(
  client: TClient,
  input: object,
  { onEvent }: FollowOptions<TClient>,
  signal: AbortSignal,
  state: Tell,
): void {
  client.events.stream.subscribe(input, {
    signal,
    onData: ({ data }: { data: EventOf<TClient> }) => signal.aborted || onEvent(data),
    onConnectionStateChange: ({ state: now, error }: { state: string; error: Error | null }) => {
      if (now === 'pending') state('live')
      else if (now === 'connecting' && error) state('lost', error)
    },
    onError: (error: Error) => state('refused', error),
  })
}
