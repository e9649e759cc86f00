"""Exchange Server by EWS, on exchangelib: its SOAP, sign-in and errors; the connections and the reading are ours."""
