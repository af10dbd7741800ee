import { plural } from './words'

export enum words {
  title = 'Erase',
  lead = 'An erased event keeps its place, type, source, times and hashes. Its data, metadata, user and ids are deleted for good. Nobody can undo that.',
  by = 'Erase',
  idsHint = 'At most 1,000, with spaces, commas or line breaks between them.',
  look = 'Show how many',
  see = 'See them',
  unseen = 'Your key cannot read events, so nobody can say here how many they are.',
  word = 'erase',
  act = 'Erase for good',
  running = 'The server erases up to 1,000 events at a time…',
  record = 'The event that says so',
}

export const kinds = { userId: 'all events of a user', subjectId: 'all events about a subject', ids: 'events by their ids' }
export const fields = { userId: 'User', subjectId: 'Subject', ids: 'Ids' }
export const found = (count: number, shown: string) => `${shown} ${count === 1 ? 'event' : 'events'} would be erased.`
export const given = (count: number) => `${plural(count, 'id')}. The server refuses all of them if one names no event.`
export const type = (word: string) => `Type “${word}” to confirm`
export const done = (count: number, shown: string) => `${shown} ${count === 1 ? 'event was' : 'events were'} erased.`
