export const title = 'Events over time'
export const table = 'As a table'
export const asTable = 'Events over time, as a table'
export const narrow = 'Only this time'
export const said = (total: string, count: number) => `${total} ${count === 1 ? 'event' : 'events'} over time. Drag to narrow the time; the button below shows the same as a table.`
