export enum words {
  way = 'Way through the list',
  back = 'All events',
  newer = 'Newer',
  older = 'Older',
  trace = 'Trace',
  receipt = 'Receipt',
  receiptMeans = 'One file that proves this event and what belongs to it, without the server',
  facts = 'Facts',
  logged = 'Logged',
  occurred = 'Occurred',
  cause = 'Caused by',
  id = 'Id',
  hash = 'Hash',
  data = 'Data',
  tree = 'Tree',
  raw = 'Raw',
  download = 'Download',
  showTree = 'Show the tree',
  erased = 'erased',
  erasedTitle = 'This event was erased.',
  erasedSaid = 'Its data, metadata, user and ids are gone for good. Its place, type, source, times and hashes remain, and the log still verifies.',
}

export const large = (size: string) => `This is ${size}. Download it, or unfold it here part by part.`
export const copies = { id: 'id', hash: 'hash', link: 'link', json: 'JSON', curl: 'curl', typescript: 'TypeScript' }
