/** The option of all verbs that work on a lab that is up. */
export const LAB_OPTION = [
  '--lab <name>',
  'which lab, where more than one is up',
] as const satisfies readonly [string, string];
