// The notes of a log: the latest ones, then each new one, with no gap and none twice. This is the part to copy.
import { createSynap, follow as followLog, type FollowState } from '@synap/client'
import type { TRPCClient } from '@trpc/client'
import type { AppRouter, EventPage, SynapEvent } from './contract'

export type Api = TRPCClient<AppRouter>

export interface Reader {
  /** Called once, with the newest notes. */
  listed(page: EventPage): void
  /** Called with each note that is logged later, in the order of the log. */
  logged(event: SynapEvent): void
  /** `refused` is the end, and comes with the server's reason; everything else goes on by itself. */
  state(state: FollowState, reason?: string): void
}

const TYPE = 'note.created'
const PAGE = 20

/** A client of one server. A page of your own gets its key from your backend, each time that `token` is called. */
export function connect(server: string, token: string): Api {
  return createSynap<AppRouter>({ url: server, token: () => token })
}

/** Log a note. Under the same id it is logged once, however often it is sent. */
export function logNote(api: Api, text: string, id: string): Promise<SynapEvent> {
  return api.events.log.mutate({ id, type: TYPE, data: { text } })
}

/** The notes after a cursor. */
export function notes(api: Api, cursor: string, signal: AbortSignal): Promise<EventPage> {
  return api.events.page.query({ type: TYPE, limit: PAGE, cursor }, { signal })
}

/** List the newest notes and follow the log from there. Returns how to stop. */
export function follow(api: Api, reader: Reader): () => void {
  return followLog(
    api,
    { type: TYPE },
    {
      from: { newest: PAGE },
      onPage: reader.listed,
      onEvent: reader.logged,
      onState: (state, error) => reader.state(state, state === 'refused' ? error?.message : undefined),
    },
  )
}
