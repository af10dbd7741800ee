export enum words {
  title = 'Views',
  none = 'This browser remembers no views yet.',
  name = 'Name of this view',
  save = 'Save',
}

export const remove = (name: string) => `Forget the view ${name}`
