import { plural } from './words'

export const erase = {
  title: 'Erase',
  lead: 'An erased event keeps its place, type, source, times and hashes. Its data, metadata, user and ids are deleted for good. Nobody can undo that.',
  by: 'Erase',
  kinds: { userId: 'all events of a user', subjectId: 'all events about a subject', ids: 'events by their ids' },
  userId: 'User',
  subjectId: 'Subject',
  ids: 'Ids',
  idsHint: 'At most 1,000, with spaces, commas or line breaks between them.',
  look: 'Show how many',
  found: (count: number, shown: string) => `${shown} ${count === 1 ? 'event' : 'events'} would be erased.`,
  see: 'See them',
  unseen: 'Your key cannot read events, so nobody can say here how many they are.',
  given: (count: number) => `${plural(count, 'id')}. The server refuses all of them if one names no event.`,
  word: 'erase',
  type: (word: string) => `Type “${word}” to confirm`,
  act: 'Erase for good',
  running: 'The server erases up to 1,000 events at a time…',
  done: (count: number, shown: string) => `${shown} ${count === 1 ? 'event was' : 'events were'} erased.`,
  record: 'The event that says so',
}
