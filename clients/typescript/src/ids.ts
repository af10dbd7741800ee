/** A new id for an event: a UUID of version 7, which sorts by time. It also works on pages without HTTPS. */
export function newEventId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  new DataView(bytes.buffer).setBigUint64(0, (BigInt(Date.now()) << 16n) | BigInt((bytes[6]! << 8) | bytes[7]!))
  return uuidOf(bytes, 7)
}

/** A UUID of the first 16 bytes, which it changes. */
export function uuidOf(bytes: Uint8Array, version: number): string {
  bytes[6] = (bytes[6]! & 0x0f) | (version << 4)
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Array.from(bytes.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

/** The input of a call with an id for each event that has none, so that a retry logs nothing twice. */
export function withIds(path: string, input: unknown): unknown {
  if (path === 'events.log') return named(input)
  if (path !== 'events.logBatch' || !isRecord(input) || !Array.isArray(input['events'])) return input
  return { ...input, events: input['events'].map(named) }
}

function named(event: unknown): unknown {
  return isRecord(event) && (event['id'] ?? null) === null ? { ...event, id: newEventId() } : event
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
