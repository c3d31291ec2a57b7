/** An error whose message is meant for the user. */
export class UserError extends Error {}
