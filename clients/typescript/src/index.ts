export { type Author, createAuthor, type Place } from './author.js'
export { createSynap, type SynapOptions } from './client.js'
export {
  ERROR_CODES,
  type ErrorCode,
  METADATA_KINDS,
  type MetadataKind,
  SCOPES,
  type Scope,
  SOURCES,
  type Source,
  TRPC_CODES,
  type TrpcCode,
} from './constants.js'
export { toFieldErrors } from './errors.js'
export {
  type EventOf,
  type EventsClient,
  type FilterOf,
  follow,
  type FollowOptions,
  type FollowState,
  type PageOf,
} from './follow.js'
export { newEventId } from './ids.js'
export {
  approved,
  type ApprovedOptions,
  ask,
  type AskOptions,
  type CallOptions,
  IntentError,
  type IntentErrorKind,
  type IntentOf,
  type IntentsClient,
  type Terms,
} from './intents.js'
