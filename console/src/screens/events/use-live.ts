import { useEffect, useRef, useState } from 'preact/hooks'
import { failureOf, type Failure } from '../../api'
import type { LiveEventFilter, SynapEvent } from '../../contract'
import { useAccess } from '../../key'
import { MOST_ROWS } from './rows'
import type { Wanted } from './view'

/** The page changes at most so often: a person could not read faster, and keys are answered in between. */
const LEAST_MS = 100

export interface Live {
  state: 'off' | 'connecting' | 'live' | 'reconnecting'
  /** How many events came while the table was paused. */
  waiting: number
  failure: Failure | undefined
  /** Show what came. */
  release: () => void
}

interface Waiting {
  events: SynapEvent[]
  count: number
}

/**
 * Follow the log behind the event `start`. What comes is given to `add` in batches, between frames; while `isPaused` it
 * waits, at most as much as the table can show.
 */
export function useLive(
  key: string | undefined,
  start: () => { wanted: Wanted; behind: string | undefined },
  isPaused: () => boolean,
  add: (events: SynapEvent[]) => void,
): Live {
  const { api } = useAccess()
  const [state, setState] = useState<Live['state']>('off')
  const [waiting, setWaiting] = useState(0)
  const [failure, setFailure] = useState<Failure>()
  const queue = useRef<Waiting>({ events: [], count: 0 })
  const latest = useRef({ isPaused, add })
  latest.current = { isPaused, add }

  const release = () => {
    const { events } = queue.current
    queue.current = { events: [], count: 0 }
    setWaiting(0)
    if (events.length > 0) latest.current.add(events.reverse())
  }

  useEffect(() => {
    queue.current = { events: [], count: 0 }
    setWaiting(0)
    setFailure(undefined)
    if (key === undefined) return setState('off')
    setState('connecting')
    let [frame, shownAt] = [0, 0]
    const show = (now: number) => {
      frame = 0
      if (now - shownAt < LEAST_MS) return schedule()
      shownAt = now
      if (latest.current.isPaused()) setWaiting(queue.current.count)
      else release()
    }
    const schedule = () => {
      if (frame === 0) frame = requestAnimationFrame(show)
    }
    const { wanted, behind } = start()
    const following = api.events.stream.subscribe(
      { ...wanted, filter: wanted.filter as LiveEventFilter | undefined, start: behind ?? 'now' },
      {
        onData({ data }) {
          queue.current.events.push(data)
          queue.current.count += 1
          if (queue.current.events.length > 2 * MOST_ROWS) queue.current.events.splice(0, MOST_ROWS)
          schedule()
        },
        onConnectionStateChange({ state, error }) {
          setState(state === 'connecting' && error ? 'reconnecting' : state === 'pending' ? 'live' : 'connecting')
        },
        onError: (error) => setFailure(failureOf(error)),
      },
    )
    return () => {
      following.unsubscribe()
      cancelAnimationFrame(frame)
    }
  }, [key])
  return { state, waiting, failure, release }
}
