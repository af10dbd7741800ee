import { useEffect, useRef, useState } from 'preact/hooks'
import { failureOf, isCancelled, type Failure } from './api'
import { retryAfter } from './retry'

/** What is known of something that is loaded. The last value stays while a newer one is on its way. */
export interface Load<T> {
  value: T | undefined
  loading: boolean
  /** It has been on its way for longer than a person expects. */
  slow: boolean
  failure: Failure | undefined
  reload: () => void
}

const SLOW_MS = 3_000

/**
 * Load something again whenever `key` changes; undefined loads nothing. What fails because of the network or because the
 * server is busy is repeated, at once when the browser is online again.
 */
export function useLoad<T>(key: string | undefined, load: (signal: AbortSignal) => Promise<T>): Load<T> {
  const [state, setState] = useState<{ key?: string | undefined; value?: T; failure?: Failure; slow?: boolean }>({})
  const [round, setRound] = useState(0)
  const failures = useRef(0)
  const latest = useRef(load)
  latest.current = load
  useEffect(() => {
    if (key === undefined) return
    const leaving = new AbortController()
    const { signal } = leaving
    const timer = setTimeout(() => setState((before) => ({ ...before, slow: true })), SLOW_MS)
    latest.current(signal).then(
      (value) => {
        if (signal.aborted) return
        clearTimeout(timer)
        failures.current = 0
        setState({ key, value })
      },
      (error: unknown) => {
        if (signal.aborted || isCancelled(error)) return
        clearTimeout(timer)
        const failure = failureOf(error, failures.current++)
        setState((before) => (before.key === key && before.value !== undefined ? { ...before, failure } : { key, failure }))
        if (failure.retryMs !== undefined) retryAfter(failure.retryMs, signal, () => setRound((number) => number + 1))
      },
    )
    return () => {
      clearTimeout(timer)
      leaving.abort()
    }
  }, [key, round])
  const isNew = state.key !== key
  return {
    value: state.value,
    loading: key !== undefined && (isNew || (state.value === undefined && !state.failure)),
    slow: Boolean(state.slow),
    failure: isNew ? undefined : state.failure,
    reload: () => setRound((number) => number + 1),
  }
}

/** A call that a person starts, such as that of a form. */
export interface Action<TArguments extends unknown[]> {
  run: (...values: TArguments) => void
  running: boolean
  failure: Failure | undefined
  clear: () => void
}

/** `act` calls the server, and does what follows if that succeeds. It runs once at a time. */
export function useAction<TArguments extends unknown[]>(
  act: (...values: TArguments) => Promise<unknown>,
): Action<TArguments> {
  const [running, setRunning] = useState(false)
  const [failure, setFailure] = useState<Failure>()
  const run = (...values: TArguments) => {
    if (running) return
    setRunning(true)
    setFailure(undefined)
    act(...values)
      .catch((error: unknown) => setFailure(failureOf(error)))
      .finally(() => setRunning(false))
  }
  return { run, running, failure, clear: () => setFailure(undefined) }
}
