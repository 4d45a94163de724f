// Routes to WeChat: their names, as "Add account" offers them, and what each can do, as its program says.

import { t } from "./i18n.js";

const offered = (driver) => document.querySelector(`#add-form [name=driver][value="${CSS.escape(driver)}"]`)?.dataset;

export const routeName = (driver) => offered(driver)?.label ?? driver;

// What to do with the phone.
export const scanStep = (driver) => offered(driver)?.scan ?? "";

// In one word, for the list.
export function routeShort(driver) {
  switch (driver) {
    case "ilink": return t("iLink");
    case "web": return t("Web");
    case "filehelper": return t("File Transfer");
    default: return driver;
  }
}

// Whether an account's route can do something (a name of Capabilities in /v1/openapi.json). A program that tells
// nothing is an older one, whose route can.
export const can = (account, what) => account?.activity?.capabilities?.[what] ?? true;
