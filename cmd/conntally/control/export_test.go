package control

// LimitAnswers bounds the size of the answers that the client takes, in bytes.
func (c *Client) LimitAnswers(most int64) { c.most = most }
