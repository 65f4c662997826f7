package brokerlink

import (
	"crypto/tls"
	"net"
	"net/url"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// Open connects as paho does, except for proxies.
func Open(uri *url.URL, o paho.ClientOptions) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: o.ConnectTimeout}
	switch uri.Scheme {
	case "ws":
		return paho.NewWebsocket(uri.String(), nil, o.ConnectTimeout, o.HTTPHeaders, o.WebsocketOptions)
	case "wss":
		return paho.NewWebsocket(uri.String(), o.TLSConfig, o.ConnectTimeout, o.HTTPHeaders, o.WebsocketOptions)
	case "ssl":
		return tls.DialWithDialer(dialer, "tcp", uri.Host, o.TLSConfig) //nolint:noctx // paho hands no context; the timeout bounds the handshake too
	default:
		return dialer.Dial("tcp", uri.Host) //nolint:noctx // as above
	}
}
