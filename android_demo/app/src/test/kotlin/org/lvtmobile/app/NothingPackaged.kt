package org.lvtmobile.app

import java.io.File

/** An app without artifacts in its assets. */
internal object NothingPackaged : Packaged {
    override fun names(): List<String> = emptyList()

    override fun text(name: String): String = error("there is none")

    override fun copy(name: String, to: File) = error("there is none")
}
