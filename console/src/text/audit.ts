export enum words {
  title = 'Audit',
  when = 'When',
  action = 'Action',
  who = 'Who',
  what = 'What',
  place = 'Place',
  node = 'the server',
  any = 'any',
  within = 'Since',
  older = 'Older entries',
  newest = 'The newest entries',
  none = 'No entries',
  noneMore = 'Nobody did that in that time.',
}

export const ranges = { day: 'One day ago', week: 'A week ago', month: '30 days ago', all: 'The beginning' }
export const count = (count: string) => `${count} entries. Looking at them adds one: audit.read.`
export const found = (count: string, all: string) => `${count} of ${all} entries`
