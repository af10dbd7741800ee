import { TRPCClientError, type TRPCLink } from '@trpc/client'
import type { AnyTRPCRouter } from '@trpc/server'
import { observable } from '@trpc/server/observable'
import { delayAfter, explained, isUnauthorized, mayPass, pause } from './failures.js'
import { isRecord } from './ids.js'
import type { Tokens } from './tokens.js'

/** One attempt to open a stream. */
export interface Asked {
  path: string
  input: Record<string, unknown>
  token: string
}

/** The functions that an attempt calls. */
export interface Heard {
  opened(): void
  /** A value, with the id after which to resume; a marker has none. */
  value(data: unknown, id: string | undefined): void
}

/** Opens a stream. Resolves if the stream has ended, rejects if it was refused or lost. */
export type Transport = (asked: Asked, heard: Heard, signal: AbortSignal) => Promise<void>

interface Listener {
  state(state: 'connecting' | 'pending' | 'idle', error: unknown): void
  opened(): void
  value(data: unknown, id: string | undefined): void
}

/**
 * Serves subscriptions. It reopens a lost stream after the last value, with a new key if the old one has ended.
 *
 * A stream that begins "now" asks the server for a marker, whose cursor says where "now" was. So it can resume there
 * even if it was lost before its first event.
 */
export function streamsLink<TRouter extends AnyTRPCRouter>(
  tokens: Tokens,
  load: () => Promise<Transport>,
): TRPCLink<TRouter> {
  return () =>
    ({ op }) =>
      observable((observer) => {
        const leaving = new AbortController()
        const next = observer.next as (envelope: unknown) => void
        const say = (result: unknown) => leaving.signal.aborted || shielded(() => next({ result }))
        const listener: Listener = {
          state: (state, error) => say({ type: 'state', state, error: error ? explained(error) : null }),
          opened: () => say({ type: 'started' }),
          value: (data, id) =>
            say(id === undefined ? { type: 'data', data } : { type: 'data', id, data: { id, data } }),
        }
        const stop = () => leaving.abort()
        op.signal?.addEventListener('abort', stop, { once: true, signal: leaving.signal })
        load()
          .then((transport) => follow(transport, tokens, op.path, op.input, listener, leaving.signal))
          .then(
            () => {
              say({ type: 'stopped' })
              listener.state('idle', null)
              observer.complete()
            },
            (error: unknown) => leaving.signal.aborted || observer.error(explained(error) as TRPCClientError<TRouter>),
          )
        if (op.signal?.aborted) stop()
        return stop
      })
}

/** Follow a stream until it ends, is refused, or the signal aborts. */
async function follow(
  transport: Transport,
  tokens: Tokens,
  path: string,
  asked: unknown,
  listener: Listener,
  signal: AbortSignal,
): Promise<void> {
  const given = isRecord(asked) ? asked : {}
  const { input, hidesMarkers } = placed(given)
  let place: string | undefined
  let failures = 0
  let refused = false
  let lost: unknown = null
  const heard = (): Heard => {
    const live = () => {
      failures = 0
      refused = false
      listener.state('pending', null)
    }
    return {
      opened() {
        listener.opened()
        if (!hidesMarkers || place !== undefined) live()
      },
      value(data, id) {
        const isFirst = place === undefined && hidesMarkers
        const cursor = isRecord(data) && id === undefined ? data['cursor'] : id
        if (typeof cursor === 'string') place = cursor
        if (isFirst) live()
        if (id !== undefined || !hidesMarkers) listener.value(data, id)
      },
    }
  }
  while (!signal.aborted) {
    listener.state('connecting', lost)
    let token: string | undefined
    try {
      token = await tokens.get()
      const resumed = place === undefined ? input : { ...input, lastEventId: place }
      return await transport({ path, input: resumed, token }, heard(), signal)
    } catch (error) {
      if (signal.aborted) return
      lost = error
      if (token !== undefined && isUnauthorized(error) && !refused) {
        refused = true
        tokens.refuse(token)
        continue
      }
      if (!mayPass(error)) throw error
    }
    await pause(delayAfter(failures++, lost), signal)
  }
}

/** The input, with markers if it names no place to begin, and whether to hide them from the caller. */
function placed(input: Record<string, unknown>): { input: Record<string, unknown>; hidesMarkers: boolean } {
  const isKnown = [input['lastEventId'], input['after'], input['start'] === 'now' ? null : input['start']].some(
    (place) => (place ?? null) !== null,
  )
  if (isKnown || input['markers']) return { input, hidesMarkers: false }
  return { input: { ...input, markers: true }, hidesMarkers: true }
}

/** An error that a listener throws goes to its page; the stream continues. */
function shielded(tell: () => void): void {
  try {
    tell()
  } catch (error) {
    setTimeout(() => {
      throw error
    })
  }
}
