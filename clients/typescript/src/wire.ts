import type { TRPCClientErrorLike } from '@trpc/client'
import { TRPCClientError } from '@trpc/client'
import type { AnyTRPCRouter } from '@trpc/server'

interface Coder {
  serialize(value: any): unknown
  deserialize(value: any): unknown
}

/** The transformer of the server's `SYNAP_TRANSFORMER`: superjson, or an object with its two functions. */
export type Transformer = Coder | { input: Coder; output: Coder }

/** How values are written and read. */
export interface Wire {
  encode(input: unknown): unknown
  decode(output: any): any
}

export function wireOf(transformer: Transformer | undefined): Wire {
  if (!transformer) return { encode: (value) => value, decode: (value) => value }
  const { input, output } = 'input' in transformer ? transformer : { input: transformer, output: transformer }
  return { encode: (value) => input.serialize(value), decode: (value) => output.deserialize(value) }
}

/** The client's error for an error object of the server. */
export function errorOf(wire: Wire, error: unknown): Error {
  return TRPCClientError.from({ error: wire.decode(error) } as TRPCClientErrorLike<AnyTRPCRouter> & { error: never })
}
