'use strict';
importScripts('/page.js');
onmessage = async ({ data: [call, args] }) => postMessage(await self[call](...args));
