package org.lvtmobile.app

import java.io.File

/** An app without artifacts in its assets. */
internal object NoBundledFiles : BundledFiles {
    override fun names(): List<String> = emptyList()

    override fun readText(name: String): String = error("there are no bundled files")

    override fun copy(name: String, to: File) = error("there are no bundled files")
}
