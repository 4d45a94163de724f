// Routes to WeChat: their names, as in "Add account", and their capabilities, as the account reports them.

import { t } from "./i18n.js";

const offered = (driver) => document.querySelector(`#add-form [name=driver][value="${CSS.escape(driver)}"]`)?.dataset;

export const routeName = (driver) => offered(driver)?.label ?? driver;

// Return what to do on the phone.
export const scanStep = (driver) => offered(driver)?.scan ?? "";

// Return the first step after the login.
export const thenStep = (driver) => offered(driver)?.then ?? "";

// Return the short name, for the list.
export function routeShort(driver) {
  switch (driver) {
    case "ilink": return t("iLink");
    case "web": return t("Web");
    case "filehelper": return t("File Transfer");
    default: return driver;
  }
}

// Whether an account's route has a capability (a name of Capabilities in /v1/openapi.json). Older programs report
// none, and their route has all.
export const can = (account, what) => account?.activity?.capabilities?.[what] ?? true;
