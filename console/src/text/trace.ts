export enum words {
  title = 'Causes and effects',
  back = 'The event',
  by = 'Lanes by',
  tree = 'Causes and effects',
  lanes = 'Lanes',
  lanesSaid = 'Events over time. The arrow keys walk them, Enter opens one.',
  asked = 'this event',
  truncated = 'not all are shown',
  side = 'Beside the tree',
  chosen = 'Chosen event',
  open = 'Open',
  from = 'Trace from here',
  correlated = 'Same correlation',
  noOthers = 'No other event has it.',
}

export const views = { tree: 'Tree', lanes: 'Lanes' }
export const lanesBy = { agent: 'By agent', source: 'By source' }
export const counts = (causes: string, effects: string) => `${causes} before it, ${effects} after it`
