// Routes to WeChat: their names, as "Add account" offers them, and what each can do, as its program says.

export const routeName = (driver) =>
  document.querySelector(`#add-form [name=driver][value="${CSS.escape(driver)}"]`)?.dataset.label ?? driver;

const SHORT = { ilink: "iLink", web: "Web", filehelper: "File Transfer" };

// In one word, for the list.
export const routeShort = (driver) => SHORT[driver] ?? driver;

// Whether an account's route can do something (a name of Capabilities in /v1/openapi.json). A program that tells
// nothing is an older one, whose route can.
export const can = (account, what) => account?.activity?.capabilities?.[what] ?? true;
