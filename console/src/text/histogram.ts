export enum words {
  title = 'Events over time',
  table = 'As a table',
  asTable = 'Events over time, as a table',
  narrow = 'Only this time',
}

export const said = (total: string, count: number) => `${total} ${count === 1 ? 'event' : 'events'} over time. Drag to narrow the time; the button below shows the same as a table.`
