/** The values of an event's `source`. */
export const SOURCES = ['api', 'automation', 'sync', 'migration', 'system', 'intelligence'] as const
export type Source = (typeof SOURCES)[number]

/** The scopes that a key may have. */
export const SCOPES = [
  'events:read',
  'events:read-own',
  'events:write',
  'events:write-as',
  'events:erase',
  'intents:decide',
  'intents:decide-own',
  'subscriptions:manage',
  'ledger:read',
  'audit:read',
  'keys:manage',
  'workspaces:manage',
  '*',
] as const
export type Scope = (typeof SCOPES)[number]

/** The published error codes: the values of `error.data.reason`. Procedures of your own may have others. */
export const ERROR_CODES = [
  'conflict',
  'forbidden',
  'intent_ended',
  'internal',
  'invalid_cursor',
  'invalid_event_type',
  'invalid_input',
  'invalid_signature',
  'malformed_json',
  'missing_required_field',
  'not_approved',
  'not_found',
  'parameters_differ',
  'payload_too_large',
  'rate_limit_exceeded',
  'request_timeout',
  'too_deep',
  'unauthorized',
  'unavailable',
  'unsafe_number',
  'unsupported_media_type',
  'used_up',
  'wrong_transformer',
] as const
export type ErrorCode = (typeof ERROR_CODES)[number]

/** The values of `error.data.code`, which are tRPC's names. */
export const TRPC_CODES = [
  'BAD_REQUEST',
  'CONFLICT',
  'FORBIDDEN',
  'INTERNAL_SERVER_ERROR',
  'METHOD_NOT_SUPPORTED',
  'NOT_FOUND',
  'PARSE_ERROR',
  'PAYLOAD_TOO_LARGE',
  'SERVICE_UNAVAILABLE',
  'TIMEOUT',
  'TOO_MANY_REQUESTS',
  'UNAUTHORIZED',
  'UNSUPPORTED_MEDIA_TYPE',
] as const
export type TrpcCode = (typeof TRPC_CODES)[number]

/** The built-in members of an event's `metadata`. */
export const METADATA_KINDS = ['ai', 'import', 'sync', 'automation', 'custom', 'synap'] as const
export type MetadataKind = (typeof METADATA_KINDS)[number]
