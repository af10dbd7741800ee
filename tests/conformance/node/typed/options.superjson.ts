// How a client with superjson connects, and what it gets for an instant.
import superjson from 'superjson'

export type Instant = Date

export const instant = (date: Date): Instant => date

export const transformer = { transformer: superjson }
