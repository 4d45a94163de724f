// Access: who may call, and what reaches them.

import { t } from "./i18n.js";

export const accessView = { open: () => t("Access"), close: () => {} };
