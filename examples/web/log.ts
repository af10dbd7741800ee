// The notes of a log: the latest ones, then each new one, with no gap and none twice. This is the part to copy.
import {
  createTRPCClient,
  httpBatchLink,
  httpSubscriptionLink,
  splitLink,
  type TRPCClient,
  TRPCClientError,
} from '@trpc/client'
import type { AppRouter, EventPage, SynapEvent } from './contract'

export type Api = TRPCClient<AppRouter>
export type State = 'connecting' | 'live' | 'lost' | 'refused'

export interface Reader {
  /** Called once, with the newest notes. */
  listed(page: EventPage): void
  /** Called with each note that is logged later, in the order of the log. */
  logged(event: SynapEvent): void
  /** `refused` is the end, and comes with the server's reason; everything else goes on by itself. */
  state(state: State, reason?: string): void
}

const TYPE = 'note.created'
const PAGE = 20
const RETRY_MS = 2_000

/** A client of one server. */
export function connect(server: string, token: string): Api {
  const url = `${server}/trpc`
  return createTRPCClient<AppRouter>({
    links: [
      splitLink({
        condition: ({ type }) => type === 'subscription',
        // A browser's EventSource sends no header of ours: the token goes with the connection's parameters.
        true: httpSubscriptionLink({ url, connectionParams: { token } }),
        false: httpBatchLink({ url, headers: { authorization: `Bearer ${token}` } }),
      }),
    ],
  })
}

/** Log a note. Under the same id it is logged once, however often it is sent. */
export function logNote(api: Api, text: string, id: string | null): Promise<SynapEvent> {
  return api.events.log.mutate({ id, type: TYPE, data: { text } })
}

/** The newest notes, or those after a cursor. */
export function notes(api: Api, cursor: string | null, signal: AbortSignal): Promise<EventPage> {
  return api.events.page.query({ type: TYPE, limit: PAGE, cursor }, { signal })
}

/** List the newest notes and follow the log from there until `signal` aborts. */
export async function follow(api: Api, reader: Reader, signal: AbortSignal): Promise<void> {
  let place: string | undefined // the id of the last note read: what comes after it is new
  reader.state('connecting')
  while (!signal.aborted) {
    try {
      if (place === undefined) {
        const page = await notes(api, null, signal)
        if (signal.aborted) return
        reader.listed(page)
        place = page.events[0]?.id ?? 'beginning'
      }
      await live(api, place, signal, reader, (event) => {
        place = event.id
        reader.logged(event)
      })
    } catch (error) {
      if (signal.aborted) return
      if (isRefusal(error)) {
        reader.state('refused', error.message)
        return
      }
    }
    if (signal.aborted) return
    reader.state('lost')
    await pause(RETRY_MS, signal)
  }
}

/** One subscription. A lost connection is renewed below it, from the last event; it ends where the browser gives up. */
function live(
  api: Api,
  start: string,
  signal: AbortSignal,
  reader: Reader,
  logged: (event: SynapEvent) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    api.events.stream.subscribe(
      { type: TYPE, start },
      {
        signal,
        onData: ({ data }) => logged(data),
        onConnectionStateChange: ({ state, error }) => {
          if (state === 'pending') reader.state('live')
          else if (state === 'connecting' && error) reader.state('lost')
        },
        onError: reject,
        onComplete: resolve,
      },
    )
  })
}

/** Whether trying again cannot help: the server answered, and it was not its own failure or its limit. */
function isRefusal(error: unknown): error is TRPCClientError<AppRouter> {
  if (!(error instanceof TRPCClientError)) return false
  const status: unknown = error.data?.httpStatus
  return typeof status === 'number' && status < 500 && status !== 408 && status !== 429
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
