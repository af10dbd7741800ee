import type { Operation, OperationLink, OperationResultEnvelope, TRPCClientError, TRPCLink } from '@trpc/client'
import type { AnyTRPCRouter } from '@trpc/server'
import { observable } from '@trpc/server/observable'
import { delayAfter, explained, isUnauthorized, mayPass, pause } from './failures.js'
import { withIds } from './ids.js'
import type { Tokens } from './tokens.js'

type Next<TRouter extends AnyTRPCRouter> = Parameters<OperationLink<TRouter>>[0]['next']
type Answer<TRouter extends AnyTRPCRouter> = OperationResultEnvelope<unknown, TRPCClientError<TRouter>>

/** The writes that the server does once, however often they are sent. */
const WRITES = /^(events\.log(Batch)?|intents\.\w+)$/

/** Gives each call the key, renews a rejected key once, and repeats up to `retries` times the calls that may be repeated. */
export function callsLink<TRouter extends AnyTRPCRouter>(tokens: Tokens, retries: number): TRPCLink<TRouter> {
  return () =>
    ({ op, next }) =>
      observable((observer) => {
        const leaving = new AbortController()
        const { signal } = leaving
        call(op, next, tokens, retries, signal).then(
          (answer) => {
            if (signal.aborted) return
            observer.next(answer)
            observer.complete()
          },
          (error: unknown) => signal.aborted || observer.error(explained(error) as TRPCClientError<TRouter>),
        )
        return () => leaving.abort()
      })
}

async function call<TRouter extends AnyTRPCRouter>(
  op: Operation,
  next: Next<TRouter>,
  tokens: Tokens,
  retries: number,
  signal: AbortSignal,
): Promise<Answer<TRouter>> {
  const input = withIds(op.path, op.input)
  const repeatable = op.type === 'query' || WRITES.test(op.path)
  let renewed = false
  for (let failures = 0; ; ) {
    const token = await tokens.get()
    try {
      return await once<TRouter>(next({ ...op, input, context: { ...op.context, token } }), signal)
    } catch (error) {
      if (signal.aborted || op.signal?.aborted) throw error
      if (isUnauthorized(error) && !renewed) {
        renewed = true
        tokens.refuse(token)
      } else if (repeatable && failures < retries && mayPass(error)) {
        await pause(delayAfter(failures++, error), op.signal ?? signal)
        if (signal.aborted || op.signal?.aborted) throw error
      } else {
        throw error
      }
    }
  }
}

function once<TRouter extends AnyTRPCRouter>(
  calling: ReturnType<Next<TRouter>>,
  signal: AbortSignal,
): Promise<Answer<TRouter>> {
  return new Promise((resolve, reject) => {
    const subscription = calling.subscribe({ next: resolve, error: reject })
    signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true })
  })
}
