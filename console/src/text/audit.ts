export const title = 'Audit'
export const when = 'When'
export const action = 'Action'
export const who = 'Who'
export const what = 'What'
export const place = 'Place'
export const node = 'the server'
export const any = 'any'
export const within = 'Since'
export const ranges = { day: 'One day ago', week: 'A week ago', month: '30 days ago', all: 'The beginning' }
export const count = (count: string) => `${count} entries. Looking at them adds one: audit.read.`
export const found = (count: string, all: string) => `${count} of ${all} entries`
export const older = 'Older entries'
export const newest = 'The newest entries'
export const none = 'No entries'
export const noneMore = 'Nobody did that in that time.'
