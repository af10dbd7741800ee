export enum words {
  title = 'Columns',
  member = 'A member of the data',
  hint = 'Such as title or customer.name',
  add = 'Add',
}
