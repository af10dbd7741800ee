// How a client without a transformer connects, and what it gets for an instant.
export type Instant = string

export const instant = (date: Date): Instant => date.toISOString()

export const transformer = {}
